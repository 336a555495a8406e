"""Seed pairs in SQL: better answers that users accepted in a conversation, and imported pairs.

A pair that a conversation holds is known by the turn_id of its DSAT turn, an imported one by its
own id. {nights} stands for a condition on log_date.
"""

from __future__ import annotations

from warehouse import satisfied

# Both follow-ups count by their newest nights, as everywhere. The acceptance has to be a SAT turn
# that could be trained on itself: then so may the answer that it accepts.
_POOL = """
SELECT turn_id, log_date, conversation_id, user_key, model, category, cluster, language
FROM dsat_turns SEMI JOIN (
    SELECT dsat_turn_id AS turn_id, log_date
    FROM (SELECT dsat_turn_id, sat_turn_id, log_date FROM revised_pairs WHERE {nights})
    SEMI JOIN (SELECT turn_id AS sat_turn_id, log_date FROM ({contents}))
        USING (sat_turn_id, log_date)
    SEMI JOIN (SELECT turn_id AS dsat_turn_id, log_date FROM ({complaints}))
        USING (dsat_turn_id, log_date)
) USING (turn_id, log_date) WHERE {nights}
UNION ALL
SELECT pair_id, max(log_date), arg_max_null(conversation_id, log_date),
    arg_max_null(user_key, log_date), NULL, NULL, NULL, NULL
FROM seed_pairs ANTI JOIN barred USING (user_key) WHERE {nights}
GROUP BY pair_id HAVING arg_max(
    NOT opted_out AND chosen <> rejected AND regexp_matches(chosen, '[^\\s\\p{{Z}}]'), log_date)"""

_PAIRS = """
SELECT dsat_turn_id AS turn_id, log_date, sat_turn_id
FROM (SELECT dsat_turn_id, sat_turn_id, log_date FROM revised_pairs WHERE {nights}) AS pairs
SEMI JOIN picked ON picked.turn_id = dsat_turn_id AND picked.log_date = pairs.log_date"""
_READ = """
SELECT turn_id AS pair_id, conversation_id, any_value(context) AS prompt,
    string_agg(content, chr(10) ORDER BY turn_index) AS chosen, any_value(answer) AS rejected,
    any_value(user_key) AS user_key, false AS opted_out, any_value(source) AS source, origin_file,
    origin_offset
FROM ({pairs}) AS pairs
JOIN (SELECT turn_id, log_date, conversation_id, context, answer, user_key FROM dsat_turns
    WHERE {nights}) AS dsat USING (turn_id, log_date)
JOIN (SELECT turn_id AS sat_turn_id, log_date, source, origin_file, origin_offset, answer_at,
    answer_end FROM ({placed})) AS placed USING (sat_turn_id, log_date)
JOIN (SELECT log_date, origin_file, origin_offset, conversation_id, turn_index, content
    FROM turns_all WHERE {nights}) AS said
    USING (log_date, conversation_id, origin_file, origin_offset)
WHERE turn_index >= answer_at AND turn_index < answer_end
GROUP BY turn_id, log_date, conversation_id, origin_file, origin_offset
UNION ALL
SELECT pair_id, conversation_id, prompt, chosen, rejected, user_key, opted_out, source, origin_file,
    origin_offset
FROM seed_pairs JOIN (SELECT turn_id AS pair_id, log_date FROM picked) USING (pair_id, log_date)
ANTI JOIN barred USING (user_key) WHERE {nights}"""

TABLES = (*satisfied.TABLES, "dsat_turns", "seed_pairs")


def pool(nights: str, *, complaints: str, contents: str) -> str:
    """SQL for the pairs that may be trained on, as `limits.draw` takes it.

    `complaints`, `contents`: SQL for the DSAT and SAT turns that may be trained on.
    """
    return _POOL.format(nights=nights, complaints=complaints, contents=contents)


def read(nights: str) -> str:
    """SQL for the pairs that the table `picked` (turn_id, log_date) names; no redactions."""
    pairs = _PAIRS.format(nights=nights)
    placed = satisfied.placed(nights, f"SELECT sat_turn_id AS turn_id, log_date FROM ({pairs})")
    return _READ.format(nights=nights, pairs=pairs, placed=placed)
