"""A bad line on demand: a TCP proxy that delays, slows, cuts, stalls, swallows and alters."""
