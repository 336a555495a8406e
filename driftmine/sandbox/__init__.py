"""A small product whose users are simulated: what they ask, and what they say of its answers."""
