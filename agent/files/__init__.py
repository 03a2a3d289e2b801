"""Durable file operations that spool, directory store and depot share."""
