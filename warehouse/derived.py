"""The views that are made of others, in SQL."""

from __future__ import annotations

# The follow-ups of a night are a sample of what users think, and often a small one: the interval
# is Wilson's score interval at 95% (E. B. Wilson, JASA 22, 1927, p. 209), which stays inside
# [0, 1] and holds its level for rates near 0, as R. G. Newcombe found comparing seven methods
# (Statistics in Medicine 17, 1998, p. 857).
_Z = 1.959963984540054  # the 97.5% point of the normal distribution
MACROS = f"""\
CREATE OR REPLACE MACRO wilson_centre(k, n) AS (k + {_Z**2 / 2}) / (n + {_Z**2});
CREATE OR REPLACE MACRO wilson_half(k, n) AS
    {_Z} * sqrt(k * (n - k) / n + {_Z**2 / 4}) / (n + {_Z**2});
-- Of no follow-ups there is no interval; greatest and least would make one up.
CREATE OR REPLACE MACRO wilson_low(k, n) AS
    CASE WHEN n > 0 THEN greatest(wilson_centre(k, n) - wilson_half(k, n), 0) END;
CREATE OR REPLACE MACRO wilson_high(k, n) AS
    CASE WHEN n > 0 THEN least(wilson_centre(k, n) + wilson_half(k, n), 1) END;
"""

# Around the rows of a table's files ({}). What is held beside another log is shown once.
ONCE = {
    "system_prompts": "SELECT DISTINCT ON (prompt_hash) * FROM (\n{}\n) ORDER BY log_date",
    "lineage": """\
SELECT turn_id, coalesce(kind, 'dsat') AS kind, held.stream, held.batch_id, model_version, parent,
    promoted, created_at AS trained_at, user_key
FROM (
{}
) AS held JOIN models ON version = model_version""",
}

# The record that a follow-up came in with holds the answer too, be it as context only: so a query
# for some nights opens the files of no others, though an earlier night may show the answer.
_SAID = """\
FROM signals AS said
JOIN turns AS follow_up ON follow_up.log_date = said.log_date AND follow_up.turn_id = said.turn_id
LEFT JOIN turns_all AS answer ON answer.log_date = said.log_date
    AND answer.turn_id = said.answer_turn_id AND answer.origin_file = follow_up.origin_file
    AND answer.origin_offset = follow_up.origin_offset"""

_FOLLOW_UPS = f"""\
SELECT said.log_date, said.turn_id, said.conversation_id, said.turn_index,
    follow_up.content AS follow_up, said.answer_turn_id, answer.content AS answer, said.signal,
    said.category, said.probability, said.model, answer.thumb, answer.rating, answer.regenerated,
    said.user_key, said.language, said.event_ts
{_SAID}"""

_SAT_TURNS = f"""\
SELECT said.log_date, said.turn_id, said.conversation_id, said.answer_turn_id,
    answer.content AS answer, follow_up.content AS feedback, said.probability, said.detector,
    said.detector_version, said.model, said.user_key, said.language, said.event_ts
{_SAID}
WHERE said.signal = 'sat'"""

# What a user complained of, the answer after the complaint, and the user's content with that one.
# All of it stands in the record that the content came in with; no other follow-up lies in between.
_REVISED_PAIRS = """\
SELECT said.log_date, said.conversation_id, dsat.turn_id AS dsat_turn_id,
    said.turn_id AS sat_turn_id, dsat.context AS prompt, dsat.answer AS rejected, dsat.feedback,
    answer.content AS chosen, follow_up.content AS acceptance, dsat.category, dsat.probability,
    said.probability AS sat_probability, dsat.trainable, dsat.untrainable_reason, said.detector,
    said.detector_version, dsat.model, said.model AS revised_by, said.user_key, said.language,
    said.event_ts
FROM signals AS said
JOIN turns AS follow_up ON follow_up.log_date = said.log_date AND follow_up.turn_id = said.turn_id
JOIN turns_all AS answer ON answer.log_date = said.log_date
    AND answer.turn_id = said.answer_turn_id AND answer.origin_file = follow_up.origin_file
    AND answer.origin_offset = follow_up.origin_offset
JOIN turns_all AS complaint ON complaint.log_date = said.log_date
    AND complaint.origin_file = follow_up.origin_file
    AND complaint.origin_offset = follow_up.origin_offset
    AND complaint.conversation_id = said.conversation_id
    AND complaint.turn_index < answer.turn_index
JOIN dsat_turns AS dsat ON dsat.log_date = said.log_date AND dsat.turn_id = complaint.turn_id
LEFT JOIN (
    SELECT other.log_date, held.origin_file, held.origin_offset, held.turn_index
    FROM signals AS other JOIN turns_all AS held ON held.log_date = other.log_date
        AND held.turn_id = other.turn_id
) AS nearer ON nearer.log_date = said.log_date AND nearer.origin_file = follow_up.origin_file
    AND nearer.origin_offset = follow_up.origin_offset
    AND nearer.turn_index > complaint.turn_index AND nearer.turn_index < said.turn_index
WHERE said.signal = 'sat' AND nearer.log_date IS NULL"""

# Counts add up over any of the columns; the share, with its interval, is of the row's own night,
# model and language. A join and no window: through one of these DuckDB 2.0 passes no filter on
# the night.
_DSAT_RATE_DAILY = """\
WITH counted AS (
    SELECT log_date, model, language, category, count(*) AS follow_ups,
        count_if(signal = 'dsat') AS dsat
    FROM signals GROUP BY ALL
), total AS (
    SELECT log_date, model, language, count(*) AS of_follow_ups FROM signals GROUP BY ALL
)
SELECT counted.*, of_follow_ups, follow_ups / of_follow_ups AS share,
    wilson_low(follow_ups, of_follow_ups) AS low, wilson_high(follow_ups, of_follow_ups) AS high
FROM counted JOIN total ON total.log_date = counted.log_date
    AND total.model IS NOT DISTINCT FROM counted.model
    AND total.language IS NOT DISTINCT FROM counted.language
ORDER BY counted.log_date, counted.model, counted.language, category"""

_DETECTOR_VERSIONS = """\
SELECT detector, detector_version, min(log_date) AS first_log_date,
    max(log_date) AS last_log_date, count(DISTINCT log_date) AS nights,
    count(DISTINCT log_date) FILTER ((log_date, detector, detector_version) IN (
        SELECT (log_date, detector, detector_version) FROM signals
    )) AS current_nights,
    count(*) AS follow_ups, count_if(signal = 'dsat') AS dsat
FROM signals_all GROUP BY detector, detector_version ORDER BY last_log_date DESC, detector"""

DERIVED = {
    "turns": "FROM turns_all WHERE NOT carried",
    "follow_ups": _FOLLOW_UPS,
    "sat_turns": _SAT_TURNS,
    "revised_pairs": _REVISED_PAIRS,
    "dsat_rate_daily": _DSAT_RATE_DAILY,
    "detector_versions": _DETECTOR_VERSIONS,
}
