"""SAT turns in SQL: answers that users were content with, put together from the records.

Signals name the first message of an answer and of a follow-up; the record that the follow-up came
in with holds both whole, and all that was said before. What of it may be trained on is decided as
`mining.verdict` and `mining.limits` do for DSAT turns, as far as SQL can tell: errors of a service
are known by patterns that are not here.

{nights} stands for a condition on log_date, and no other night's files are opened.
"""

from __future__ import annotations

TOOL_CALL = "[tool call] "  # a line of a turn begins so where ingestion found a call in it

# A follow-up's newest night says what it is.
_NEWEST = """
SELECT turn_id, max(log_date) AS log_date FROM signals WHERE {nights}
GROUP BY turn_id HAVING arg_max(signal, log_date) = 'sat'"""

# The messages of a record, and the cluster that its conversation belongs to.
_RECORD = "log_date, conversation_id, origin_file, origin_offset"
_MESSAGES = f"""(
    SELECT {_RECORD}, turn_index, role, content, prompt_hash, flagged, chain
    FROM turns_all WHERE {{nights}}
) AS message"""
_CLUSTERS = f"(SELECT {_RECORD}, cluster FROM conversations WHERE {{nights}}) AS facts"

# Where the parts lie, by turn_index: the context ends with the request at `asked_at`; the answer is
# [answer_at, answer_end), the follow-up [said_at, said_end). A log's messages of one speaker in a
# row are one message.
_PLACED = f"""
WITH said AS (
    SELECT turn_id, {_RECORD}, answer_turn_id, signals.turn_index AS said_at,
        answer.turn_index AS answer_at, probability, model, user_key, language, event_ts, source
    FROM signals SEMI JOIN ({{said}}) AS wanted USING (turn_id, log_date)
    ANTI JOIN barred USING (user_key)
    JOIN (SELECT log_date, turn_id, source, origin_file, origin_offset FROM turns_all
        WHERE {{nights}} AND NOT carried AND NOT opted_out) AS own USING (log_date, turn_id)
    JOIN (SELECT log_date, turn_id AS answer_turn_id, turn_index, origin_file, origin_offset
        FROM turns_all WHERE {{nights}}) AS answer
        USING (log_date, answer_turn_id, origin_file, origin_offset)
    WHERE {{nights}}
)
SELECT said.*,
    max(turn_index) FILTER (role = 'user' AND turn_index < answer_at) AS asked_at,
    min(turn_index) FILTER (role <> 'assistant' AND turn_index > answer_at) AS answer_end,
    coalesce(
        min(turn_index) FILTER (role <> 'user' AND turn_index > said_at), max(turn_index) + 1
    ) AS said_end
FROM said JOIN {_MESSAGES} USING ({_RECORD}) GROUP BY ALL"""

# Of all those, what may be trained on. `prompt`: equal for equal conversations up to the request.
_POOL = f"""
SELECT turn_id, log_date, conversation_id, any_value(user_key) AS user_key,
    any_value(model) AS model, NULL::VARCHAR AS category, any_value(cluster) AS cluster,
    any_value(language) AS language,
    nullif(any_value(chain) FILTER (turn_index = asked_at), 0) AS prompt
FROM ({_PLACED}) AS placed JOIN {_MESSAGES} USING ({_RECORD})
LEFT JOIN {_CLUSTERS} USING ({_RECORD})
WHERE turn_index < said_end AND asked_at IS NOT NULL
GROUP BY turn_id, log_date, conversation_id
HAVING NOT bool_or(coalesce(flagged, false))
    AND NOT bool_or(role = 'tool' AND turn_index > asked_at)
    AND NOT bool_or(turn_index > asked_at AND turn_index < answer_at)
    AND NOT bool_or(contains(chr(10) || content, chr(10) || '{TOOL_CALL}')
        AND turn_index >= answer_at AND turn_index < answer_end)
    AND bool_or(turn_index >= answer_at AND turn_index < answer_end
        AND regexp_matches(content, '[^\\s\\p{{{{Z}}}}]'))"""

_READ = f"""
SELECT turn_id, conversation_id, any_value(answer_turn_id) AS answer_turn_id,
    list({{{{'role': role, 'content': content, 'prompt_hash': prompt_hash}}}} ORDER BY turn_index)
        FILTER (turn_index <= asked_at) AS context,
    string_agg(content, chr(10) ORDER BY turn_index)
        FILTER (turn_index >= answer_at AND turn_index < answer_end) AS answer,
    string_agg(content, chr(10) ORDER BY turn_index) FILTER (turn_index >= said_at) AS feedback,
    any_value(probability) AS probability, any_value(model) AS model,
    any_value(user_key) AS user_key, any_value(language) AS language,
    any_value(event_ts) AS event_ts, any_value(cluster) AS cluster
FROM ({_PLACED}) AS placed JOIN {_MESSAGES} USING ({_RECORD})
LEFT JOIN {_CLUSTERS} USING ({_RECORD})
WHERE turn_index < said_end
GROUP BY turn_id, log_date, conversation_id"""

TABLES = ("signals", "turns", "conversations")  # that all this is made of


def pool(nights: str) -> str:
    """SQL for the turns that may be trained on, as `limits.draw` takes it."""
    return _POOL.format(nights=nights, said=_NEWEST.format(nights=nights))


def read(nights: str) -> str:
    """SQL for the SAT turns that the table `picked` (turn_id, log_date) names."""
    return _READ.format(nights=nights, said="FROM picked")


def placed(nights: str, said: str) -> str:
    """SQL for where the parts of the follow-ups `said` (turn_id, log_date) lie."""
    return _PLACED.format(nights=nights, said=said)
