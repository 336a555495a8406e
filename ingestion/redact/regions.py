"""Where a conversation comes from, as far as its log says: how its numbers are written."""

from __future__ import annotations

# "code name[, other name...]": ISO 3166-1, of the countries with a numbering plan of their own.
_COUNTRIES = """
AD Andorra; AE United Arab Emirates; AF Afghanistan; AG Antigua and Barbuda; AI Anguilla;
AL Albania; AM Armenia; AO Angola; AR Argentina; AS American Samoa; AT Austria; AU Australia;
AW Aruba; AX Åland Islands; AZ Azerbaijan; BA Bosnia and Herzegovina; BB Barbados; BD Bangladesh;
BE Belgium; BF Burkina Faso; BG Bulgaria; BH Bahrain; BI Burundi; BJ Benin; BM Bermuda;
BN Brunei, Brunei Darussalam; BO Bolivia; BR Brazil; BS Bahamas; BT Bhutan; BW Botswana;
BY Belarus; BZ Belize; CA Canada; CD DR Congo; CF Central African Republic; CG Congo;
CH Switzerland; CI Côte d'Ivoire, Ivory Coast; CL Chile; CM Cameroon; CN China; CO Colombia;
CR Costa Rica; CU Cuba; CV Cape Verde, Cabo Verde; CW Curaçao; CY Cyprus;
CZ Czech Republic, Czechia; DE Germany; DJ Djibouti; DK Denmark; DM Dominica;
DO Dominican Republic; DZ Algeria; EC Ecuador; EE Estonia; EG Egypt; ER Eritrea; ES Spain;
ET Ethiopia; FI Finland; FJ Fiji; FM Micronesia; FO Faroe Islands; FR France; GA Gabon;
GB United Kingdom, UK, Great Britain; GD Grenada; GE Georgia; GF French Guiana; GG Guernsey;
GH Ghana; GI Gibraltar; GL Greenland; GM Gambia; GN Guinea; GP Guadeloupe; GQ Equatorial Guinea;
GR Greece; GT Guatemala; GU Guam; GW Guinea-Bissau; GY Guyana; HK Hong Kong; HN Honduras;
HR Croatia; HT Haiti; HU Hungary; ID Indonesia; IE Ireland; IL Israel; IM Isle of Man; IN India;
IQ Iraq; IR Iran; IS Iceland; IT Italy; JE Jersey; JM Jamaica; JO Jordan; JP Japan; KE Kenya;
KG Kyrgyzstan; KH Cambodia; KP North Korea; KR South Korea, Korea, Republic of Korea; KW Kuwait;
KY Cayman Islands; KZ Kazakhstan; LA Laos; LB Lebanon; LC Saint Lucia; LI Liechtenstein;
LK Sri Lanka; LR Liberia; LS Lesotho; LT Lithuania; LU Luxembourg; LV Latvia; LY Libya;
MA Morocco; MC Monaco; MD Moldova; ME Montenegro; MG Madagascar; MK North Macedonia, Macedonia;
ML Mali; MM Myanmar; MN Mongolia; MO Macao, Macau; MQ Martinique; MR Mauritania; MT Malta;
MU Mauritius; MV Maldives; MW Malawi; MX Mexico; MY Malaysia; MZ Mozambique; NA Namibia;
NC New Caledonia; NE Niger; NG Nigeria; NI Nicaragua; NL Netherlands, The Netherlands; NO Norway;
NP Nepal; NZ New Zealand; OM Oman; PA Panama; PE Peru; PF French Polynesia; PG Papua New Guinea;
PH Philippines; PK Pakistan; PL Poland; PR Puerto Rico; PS Palestine; PT Portugal; PY Paraguay;
QA Qatar; RE Réunion, Reunion; RO Romania; RS Serbia; RU Russia, Russian Federation; RW Rwanda;
SA Saudi Arabia; SC Seychelles; SD Sudan; SE Sweden; SG Singapore; SI Slovenia; SK Slovakia;
SL Sierra Leone; SM San Marino; SN Senegal; SO Somalia; SR Suriname; SS South Sudan;
SV El Salvador; SY Syria; SZ Eswatini, Swaziland; TD Chad; TG Togo; TH Thailand; TJ Tajikistan;
TM Turkmenistan; TN Tunisia; TR Turkey, Türkiye; TT Trinidad and Tobago; TW Taiwan; TZ Tanzania;
UA Ukraine; UG Uganda; US United States, USA, United States of America; UY Uruguay;
UZ Uzbekistan; VA Vatican; VE Venezuela; VN Vietnam, Viet Nam; YE Yemen; ZA South Africa;
ZM Zambia; ZW Zimbabwe
"""

# ISO 639-1 language -> countries of most of its speakers, at most four. US stands for all of the
# North American plan.
_SPOKEN = """
ar SA EG AE MA; bg BG; bn BD IN; ca ES; cs CZ; da DK; de DE AT CH; el GR; en US GB IN AU; es ES MX
AR CO; et EE; fa IR; fi FI; fr FR BE CH US; he IL; hi IN; hr HR; hu HU; id ID; is IS; it IT CH;
ja JP; ko KR; lt LT; lv LV; ms MY; nb NO; nl NL BE; nn NO; no NO; pl PL; pt BR PT; ro RO; ru RU;
sk SK; sl SI; sr RS; sv SE FI; ta IN; te IN; th TH; tl PH; tr TR; uk UA; ur PK; vi VN; zh CN TW HK
"""


def _countries(table: str) -> dict[str, str]:
    codes: dict[str, str] = {}
    for entry in " ".join(table.split()).split("; "):
        code, _, names = entry.partition(" ")
        codes[code.lower()] = code
        codes.update((name.lower(), code) for name in names.split(", "))
    return codes


def _spoken(table: str) -> dict[str, tuple[str, ...]]:
    entries = (entry.split() for entry in table.split(";"))
    return {language: tuple(countries) for language, *countries in entries}


# Lower-case ISO 3166 code or English name -> code.
COUNTRIES = _countries(_COUNTRIES)
SPOKEN = _spoken(_SPOKEN)


def regions(language: str | None, country: str | None) -> tuple[str, ...]:
    """ISO 3166 codes, likeliest first: the log's country, else where its language is spoken.

    `country`: a code or an English name; one that is unknown counts as none.
    """
    known = COUNTRIES.get(country.strip().lower()) if country else None
    return (known,) if known else SPOKEN.get(language or "", ())
