"""The process that touches one camera, and the agent's end of it."""
