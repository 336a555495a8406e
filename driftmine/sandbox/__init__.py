"""A product in a bottle: a tiny policy, simulated users, and the whole loop run on them."""
