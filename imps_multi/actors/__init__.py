"""The actors: who waits for what, and hands what to whom. Decisions are made in model."""
