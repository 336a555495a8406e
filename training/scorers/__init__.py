"""Scorers: ways to say how good an answer is."""
