"""The privileged process: the few things that only root may do for the agent, and nothing else.

It never reads a byte that a camera wrote, of a hub only what it says it is, and takes no path from anybody: whoever
asks names a bay and a device by the kernel's own names, and what that is gets looked up here.
"""
