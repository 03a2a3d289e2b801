"""The operator's configuration: one file and `conf.d/*.toml` beside it."""

from agent.config.load import ConfigErrors, ConfigProblem, load_config
from agent.config.model import Config

__all__ = ["Config", "ConfigErrors", "ConfigProblem", "load_config"]
