"""How each kind of camera is touched; runs inside the reader process only, so nothing here imports much."""
