"""Writes config/completions from the command's own parser: `scripts/completions`, `python -m tests.docs.completions`.

Files and not the parser itself at each press of the key: a station's processor is small, and a shell that completes a
word shall start nothing that could read a configuration.
"""

from pathlib import Path

from tests.docs.commands import PROGRAM, Command, Parameter, Takes, commands

FOLDER = Path(__file__).resolve().parents[2] / "config" / "completions"
BASH, ZSH = FOLDER / "dock-agent.bash", FOLDER / "_dock-agent"
_MADE = "Made by `scripts/completions` from the command's own parser; change that, not this file."
_HELP = Parameter("--help", None, Takes.NOTHING, (), "Show this message and exit.", many=False)


def _options(command: Command) -> tuple[Parameter, ...]:
    return (*command.options, _HELP)


# ---- bash ------------------------------------------------------------------------------------------------

_BASH_HEAD = f"""\
# bash completion for {PROGRAM}
# {_MADE}

_dock_agent() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} path='' takes='' word='' options='' verbs='' values=''
    local -i at
    COMPREPLY=()
    # Which verb is meant; an option's value is no verb.
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${{COMP_WORDS[at]}}
        if [[ -n $takes && $word != '=' ]]; then
            takes=''
            continue
        fi
        case $path:$word in
"""
_BASH_MIDDLE = """\
        esac
    done
    [[ $cur == '=' ]] && cur=''
    case $takes in
        file) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null; return ;;
        folder) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); compopt -o filenames 2>/dev/null; return ;;
        choice:*) mapfile -t COMPREPLY < <(compgen -W "${takes#choice:}" -- "$cur"); return ;;
        word) return ;;
    esac
    case $path in
"""
_BASH_TAIL = """\
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [[ -n $verbs ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur")
    elif [[ $values == folder ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        compopt -o filenames 2>/dev/null
    elif [[ -n $values ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur")
    fi
} &&
    complete -F _dock_agent dock-agent
"""


def _value(parameter: Parameter) -> str:
    return f"choice:{' '.join(parameter.choices)}" if parameter.takes is Takes.CHOICE else parameter.takes.value


def bash() -> str:
    """The file for bash. The words that it looks at are compared whole, so a value can never be taken for a verb."""
    lines: list[str] = []
    sets: list[str] = []
    for command in commands().walk():
        path = " ".join(command.path)
        lines += [f"            '{path}:{verb.path[-1]}') path='{' '.join(verb.path)}' ;;" for verb in command.verbs]
        by_value: dict[str, list[str]] = {}
        for option in command.options:
            if option.takes is not Takes.NOTHING:
                by_value.setdefault(_value(option), []).append(option.name)
        for value, names in by_value.items():
            patterns = " | ".join(f"'{path}:{name}'" for name in names)
            lines.append(f"            {patterns}) takes='{value}' ;;")
        options = " ".join(option.name for option in _options(command))
        parts = [f"options='{options}'"]
        if command.verbs:
            parts.append(f"verbs='{' '.join(verb.path[-1] for verb in command.verbs)}'")
        known = next((each for each in command.arguments if each.takes in (Takes.CHOICE, Takes.FOLDER)), None)
        if known is not None:
            parts.append(f"values='{' '.join(known.choices) or known.takes.value}'")
        sets.append(f"        '{path}') {'; '.join(parts)} ;;")
    return _BASH_HEAD + "\n".join(lines) + "\n" + _BASH_MIDDLE + "\n".join(sets) + "\n" + _BASH_TAIL


# ---- zsh -------------------------------------------------------------------------------------------------

_ACTIONS = {Takes.FILE: "_files", Takes.FOLDER: "_files -/", Takes.WORD: " "}


def _quoted(text: str) -> str:
    """In single quotes for the shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _told(text: str) -> str:
    """A description inside of a specification of `_arguments`."""
    for mark in "\\[]:":
        text = text.replace(mark, f"\\{mark}")
    return text


def _action(parameter: Parameter) -> str:
    return f"({' '.join(parameter.choices)})" if parameter.takes is Takes.CHOICE else _ACTIONS[parameter.takes]


def _specifications(command: Command) -> list[str]:
    found = []
    for option in _options(command):
        head = f"(- *){option.name}" if option.name in ("--help", "--version") else option.name
        text = f"{head}[{_told(option.said)}]"
        if option.takes is not Takes.NOTHING:
            text += f":{_told(option.metavar or option.name.strip('-'))}:{_action(option)}"
        found.append(_quoted(text))
    for argument in command.arguments:
        name = (argument.metavar or argument.name).strip("[]")
        found.append(_quoted(f"{'*' if argument.many else ''}:{_told(name)}:{_action(argument)}"))
    return found


def _function(command: Command) -> str:
    name = "_".join(("_dock-agent", *command.path))
    own = " \\\n        ".join(_specifications(command))
    if not command.verbs:
        return f"{name}() {{\n    _arguments \\\n        {own}\n}}\n"
    verbs = "\n".join(f"        {_quoted(f'{verb.path[-1]}:{_told(verb.said)}')}" for verb in command.verbs)
    cases = "\n".join(
        f"                {verb.path[-1]}) {'_'.join(('_dock-agent', *verb.path))} && ret=0 ;;"
        for verb in command.verbs
    )
    return f"""{name}() {{
    local curcontext=$curcontext state
    local -a line verbs
    local -i ret=1
    verbs=(
{verbs}
    )
    _arguments -C \\
        {own} \\
        '1:verb:->verb' \\
        '*::argument:->rest' && ret=0
    case $state in
        verb) _describe -t verbs verb verbs && ret=0 ;;
        rest)
            case $line[1] in
{cases}
            esac
            ;;
    esac
    return ret
}}
"""


def zsh() -> str:
    """The file for zsh: one function for each verb."""
    functions = "\n".join(map(_function, commands().walk()))
    return f'#compdef {PROGRAM}\n# {_MADE}\n\n{functions}\n_dock-agent "$@"\n'


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    BASH.write_text(bash(), "utf-8")
    ZSH.write_text(zsh(), "utf-8")
