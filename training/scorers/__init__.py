"""Scorers: what tells a better answer from a worse one."""
