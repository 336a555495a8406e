"""Judges' replies as scores: asking, WildBench, win rates, diversity."""
