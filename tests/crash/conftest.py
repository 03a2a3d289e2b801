from tests.scenarios.conftest import shift

__all__ = ["shift"]
