"""Conversations with the verdicts on them, as ingestion and mining would publish them."""

from warehouse.records import Category, Message, Role, SeedPair, SignalKind, SystemPrompt

SAT = {"signal": SignalKind.SAT, "category": Category.SAT, "probability": 0.1}
S, U, A, T = Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL


def record(store, name: str, said, **fields) -> list:
    """The turns of a conversation of its own: (role, content) or (role, content, fields)."""
    number = 1000 * (1 + sum(map(ord, name)))
    return [
        store.turn(number + i, turn_id=f"{name}{i}", conversation_id=name, turn_index=i, role=role,
                   content=content, origin_offset=number, user_key=f"user-{name}",
                   **fields | (more[0] if more else {}))
        for i, (role, content, *more) in enumerate(said)
    ]  # fmt: skip


def verdict(store, turns, at: int, answer: int, **fields):
    """That of the user who says `turns[at]` on the answer that begins at `turns[answer]`."""
    turn = turns[at]
    told = {
        "turn_id": turn.turn_id, "conversation_id": turn.conversation_id, "turn_index": at,
        "answer_turn_id": turns[answer].turn_id, "user_key": turn.user_key,
        "event_ts": store.now, "language": "en",
    }  # fmt: skip
    return store.signal(0, **told | SAT | fields)


def facts(store, turns, **fields):
    first = turns[0]
    told = {"conversation_id": first.conversation_id, "origin_offset": first.origin_offset}
    return store.facts(0, **told | fields)


def publish(store, turns, signals, *, dsat=(), about=(), pairs=(), night=None, run="run") -> None:
    night = night or store.night
    prompts = [SystemPrompt(prompt_hash="aa", content="Be brief.")]
    staged = [
        store.stage(table, part, rows, night)
        for table, part, rows in (
            ("turns", "log", turns), ("conversations", "log", about), ("seed_pairs", "log", pairs),
            ("system_prompts", "log", prompts), ("signals", "rules@1", signals),
            ("dsat_turns", "rules@1", dsat),
        )
        if rows
    ]  # fmt: skip
    store.publish(run, *staged, night=night)


def content(store, name: str = "c", said=None, **fields):
    """A conversation whose user is content at turn 2, and what it says."""
    said = said or [(U, f"ask {name}"), (A, "answer"), (U, "thanks")]
    turns = record(store, name, said, **fields)
    return turns, verdict(store, turns, 2, 1)


def revised(store, name: str = "c", said=None, **dsat):
    """A conversation whose second answer its user accepts after complaining of the first."""
    said = said or [(U, "ask"), (A, "wrong"), (U, "no"), (A, "right"), (A, "indeed"), (U, "thanks")]
    turns = record(store, name, said)
    at = max(i for i, turn in enumerate(turns) if turn.role is U)
    complaint = {"signal": SignalKind.DSAT, "category": Category.COMPLAINT, "probability": 0.9}
    signals = [verdict(store, turns, 2, 1, **complaint), verdict(store, turns, at, 3)]
    row = store.dsat(0, turn_id=turns[2].turn_id, conversation_id=name, answer="wrong",
                     answer_turn_id=turns[1].turn_id, user_key=turns[0].user_key,
                     context=(Message(role=S, content="", prompt_hash="aa"),
                              Message(role=U, content="ask")), **dsat)  # fmt: skip
    return turns, (signals, [row])


def seed(store, name: str, **fields) -> SeedPair:
    told = {
        "pair_id": name, "prompt": (Message(role=U, content="ask"),), "chosen": "good",
        "rejected": "bad", "source": "prefs", "origin_file": "p.jsonl", "origin_offset": 3,
    }  # fmt: skip
    return SeedPair(**told | fields)
