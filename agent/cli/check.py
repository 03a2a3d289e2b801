"""`dock-agent check`: everything that is wrong with the configuration, at once."""

import typer

from agent.cli.failure import Exit, say_problems
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile
from agent.cli.terminal import print_json
from agent.cli.wording import safe


def check(config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Check the whole configuration.

    Profiles and keys as well; no store is asked, and nothing is changed.
    """
    from agent.app import check as check_all

    report = check_all(config)
    if as_json:
        problems = [{"file": p.file, "key": p.key, "reason": p.reason} for p in report.problems]
        print_json({"ok": not problems, "problems": problems, "notes": report.notes})
    elif report.problems:
        say_problems(list(report.problems))
    else:
        print("The configuration is fine.")
        for note in report.notes:
            print(f"note: {safe(note)}")
    raise typer.Exit(Exit.BAD_CONFIG if report.problems else Exit.DONE)
