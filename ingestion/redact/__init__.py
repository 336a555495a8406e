"""Redaction: what identifies a person, or opens a door, leaves the texts before they are stored."""
