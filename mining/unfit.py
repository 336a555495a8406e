"""Answers and feedback that teach nothing, told by their words alone: few patterns, and narrow.

A miss costs one turn of a batch; a wrong hit throws a lesson away. So a text counts only as a
whole, and only where nothing else is said in it.
"""

from __future__ import annotations

import re2

from mining.quotation import own_words

# Longer feedback says something of the answer, however it is meant; longer answers are answers.
VENTING_CHARS = 80
ERROR_CHARS = 300
_EDGE = "[\\s\\pP\\pS\\x{200d}\\x{fe0f}]*"

# Of the person spoken to, or of one's own mood. "useless", "bad answer" speak of the answer.
_YOU = r"you(?: are| ?re|r)? |u r |ur "
_VERY = r"(?:such |so |a |an |fucking |bloody |damn |complete |total |absolute |stupid |dumb )*"
_MOOD = (
    r"f+u+c*k+(?: ?(?:you|u|off|this|me|it|sake))?|for fucks? sake|fml|shut (?:the fuck )?up|stfu",
    r"screw you|damn(?: (?:it|you))?|god ?damn(?: it)?|w+t+f+|omfg|jesus(?: christ)?",
    r"i (?:really |fucking )?hate (?:you|this|my life)|go to hell|kill me|you suck|i give up",
    r"argh+|ugh+|grr+",
    rf"(?:{_YOU})?{_VERY}(?:idiot|moron|imbecile|dumbass|asshole|bitch)",
    r"(?:stupid|dumb) (?:bot|ai|machine|robot|thing)",
    rf"(?:{_YOU}){_VERY}(?:stupid|dumb|retarded|pathetic)",
    r"va te faire (?:foutre|voir)|ta gueule|connard|merde|putain|du idiot|halt(?:s maul)?",
    r"schei(?:ss|ß)e|verdammt|idiota|imb[ée]cil|vete a la mierda|mierda|joder|caralho|porra",
    r"傻[逼叉瓜]|笨蛋|白痴|蠢货|去死|操你妈|他妈的|妈的|滚|我操|卧槽",
)
_FILLER = r"oh|well|lol|omg|wow|bro|dude|man|seriously|really|just|so|and|you|please|my god"
_VENTING = re2.compile(
    f"(?i){_EDGE}(?:(?:{_FILLER}){_EDGE}[\\s\\pP])*(?:{'|'.join(_MOOD)})"
    f"(?:{_EDGE}(?:{_FILLER}|{'|'.join(_MOOD)}))*{_EDGE}"
)

# What services say in place of an answer, and what follows it there.
_FAILURES = (
    r"(?:a |an )?(?:api|network|internal server|server|gateway|connection|upstream|unexpected)"
    r" error"
    r"(?: (?:has )?occur+ed)?(?: while (?:generating|processing) [a-z ]{1,40})?",
    r"(?:oops[,!.]? )?something went wrong(?: while (?:generating|processing) [a-z ]{1,40})?",
    r"an error (?:has )?occur+ed(?: while (?:generating|processing) [a-z ]{1,40})?",
    r"there was an error (?:generating|processing) [a-z ]{1,40}",
    r"(?:http )?(?:error )?:?(?:500 internal server error|502 bad gateway|504 gateway time-?out|"
    r"503 service (?:temporarily )?unavailable|429 too many requests)",
    r"(?:error: )?rate limit (?:exceeded|reached)[a-z ]{0,40}",
    r"(?:the )?(?:request|response|generation|stream|connection) (?:has )?(?:was )?(?:timed out|"
    r"interrupted|aborted|reset|lost)",
    r"(?:the |that )?(?:model|server|service) is (?:currently |temporarily )?"
    r"(?:overloaded|unavailable)[a-z ]{0,40}",
    r"the server had an error (?:while )?processing your request",
    r"(?:抱歉|对不起)?[，, ]*(?:api|网络|服务器?|系统|接口|请求|连接) ?(?:发生|出现)?"
    r"(?:错误|异常|出错|繁忙|超时|失败|中断)",
)
_AFTER = (
    r"(?:please|try|if (?:this|the)|we(?:'re| are)|sorry|contact|retry|\(?request id|\(?code"
    r"|请您?(?:稍后|稍候|重新|再|重试|联系))"
)
_FAILED = re2.compile(
    f"(?is)[\\s*_\\[(⚠️❗]*(?:error[:!] )?(?:{'|'.join(_FAILURES)})[\\s.,!…，。！\\])*_]*"
    f"(?:{_AFTER}.*)?"
)
_BODY = re2.compile(r'(?s)\s*\{\s*"error"\s*:\s*(?:\{|").*\}\s*')
# At the end of an answer that broke off, on a line of its own and in brackets.
_BROKE_OFF = re2.compile(
    r"(?i)\[(?:error: )?(?:network error|(?:response|stream|generation|connection) (?:was )?"
    r"(?:interrupted|aborted|lost|timed out)|timeout|request timed out)[.!]?\]"
)


def is_venting(follow_up: str) -> bool:
    """Whether a follow-up is an insult or a mood and says nothing of the answer."""
    text = own_words(follow_up).text.strip()
    return 0 < len(text) <= VENTING_CHARS and _VENTING.fullmatch(text) is not None


def is_service_error(answer: str) -> bool:
    """Whether an answer is an error message of the service, or ends in one that cut it off."""
    text = answer.strip()
    if len(text) <= ERROR_CHARS and (_FAILED.fullmatch(text) or _BODY.fullmatch(text)):
        return True
    return _BROKE_OFF.fullmatch(text[text.rfind("\n") + 1 :][-ERROR_CHARS:]) is not None
