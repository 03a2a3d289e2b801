"""What a store really does: asked on a person's command only, in a scratch place, with random bytes."""
