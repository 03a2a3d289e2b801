"""The command `dock-agent`. Verbs import what is heavy only when they run, so that help comes at once."""
