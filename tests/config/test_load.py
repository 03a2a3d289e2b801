"""The configuration: every mistake at once, with the file and the key that made it."""

from pathlib import Path

import pytest

from agent.app import check
from agent.config import Config, ConfigErrors, load_config
from agent.config.load import bundled_profiles
from agent.core.object import ReceiptKind

MINIMAL = '[station]\nid = "hub7"\nstate_dir = "state"\n'


def write(folder: Path, text: str, name: str = "agent.toml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def mistakes(file: Path) -> set[tuple[str, str]]:
    with pytest.raises(ConfigErrors) as caught:
        load_config(file)
    assert all(p.reason for p in caught.value.problems)
    return {(Path(p.file).name, p.key) for p in caught.value.problems}


def reason_of(file: Path) -> str:
    with pytest.raises(ConfigErrors) as caught:
        load_config(file)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0].reason


def test_the_defaults_are_the_careful_ones(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL))
    assert not config.wipe.enabled
    assert not config.station.trial
    assert not config.station.allow_unsafe_spool
    assert config.confirm.copies == 1
    assert config.api.listen == "127.0.0.1:8420"
    assert config.api.socket == tmp_path / "state" / "api.sock"
    assert config.station.state_dir == tmp_path / "state"
    assert config.profiles_directory == bundled_profiles()


def test_the_example_is_a_good_configuration_but_for_the_files_it_names(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "config" / "agent.example.toml"
    file = write(tmp_path, example.read_text())
    assert mistakes(file) == {("agent.toml", "stores.0.receipt_key"), ("agent.toml", "stores.0.credential"),
                              ("agent.toml", "stores.0.ca")}  # fmt: skip
    for name in ("central.pub", "central.credential", "ca.pem"):
        (tmp_path / name).touch(mode=0o600)
    assert load_config(file).stores[0].kind is ReceiptKind.SIGNED


def test_all_mistakes_are_told_at_once_each_with_its_file(tmp_path: Path) -> None:
    main = write(tmp_path, '[station]\nid = "hub 7"\nstate_dir = "state"\ncolour = 1\n[wipe]\nenabled = "perhaps"\n')
    write(tmp_path, '[[bays]]\nname = "1"\n[[bays]]\nname = "2"\nfolder = "a"\nsimulated = "b"\n', "conf.d/bays.toml")
    write(tmp_path, '[confirm]\ncopies = 0\n[[stores]]\nname = "x"\nurl = ""\n', "conf.d/stores.toml")
    assert mistakes(main) == {
        ("agent.toml", "station.id"),
        ("agent.toml", "station.colour"),
        ("agent.toml", "wipe.enabled"),
        ("bays.toml", "bays.0"),
        ("bays.toml", "bays.1"),
        ("stores.toml", "confirm.copies"),
        ("stores.toml", "stores.0.url"),
    }


def test_lists_grow_over_files_and_single_keys_are_replaced(tmp_path: Path) -> None:
    main = write(tmp_path, MINIMAL + '[[bays]]\nname = "1"\nfolder = "a"\n')
    write(tmp_path, '[wipe]\nenabled = true\n[[bays]]\nname = "2"\nfolder = "b"\n', "conf.d/10.toml")
    write(tmp_path, '[wipe]\nenabled = false\n[[bays]]\nname = "3"\nfolder = "/c"\n', "conf.d/20.toml")
    config = load_config(main)
    assert [b.name for b in config.bays] == ["1", "2", "3"]
    assert [b.folder for b in config.bays] == [tmp_path / "a", tmp_path / "b", Path("/c")]
    assert not config.wipe.enabled


def test_a_mistake_in_a_grown_list_is_told_with_the_right_file(tmp_path: Path) -> None:
    main = write(tmp_path, MINIMAL + '[[bays]]\nname = "1"\nfolder = "a"\n')
    write(tmp_path, '[[bays]]\nname = "2"\nfolder = 5\n', "conf.d/more.toml")
    assert mistakes(main) == {("more.toml", "bays.1.folder")}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[[bays]]\nname = "1"\nfolder = "a"\n[[bays]]\nname = "1"\nfolder = "b"\n', "bays"),
        ('[[bays]]\nname = "hand"\nfolder = "a"\n', "bays"),
        ('[[bays]]\nname = "1"\nfolder = "a"\n[[imports]]\nname = "1"\nfolder = "b"\n', "bays"),
        ('[[stores]]\nname = "s"\nurl = "file:///x"\nrequire = "readback"\n[confirm]\ncopies = 2\n', "confirm.copies"),
        ('[[stores]]\nname = "s"\nurl = "tus+http://127.0.0.1:1/"\n', "stores.0.receipt_key"),
        ('[[stores]]\nname = "s"\nurl = "file:///x"\nrequire = "maybe"\n', "stores.0.require"),
        ('[[stores]]\nname = "s"\nurl = "file:///x"\nrequire = "readback"\nca = "no.pem"\n', "stores.0.ca"),
    ],
)
def test_what_only_the_whole_shows_is_told_too(tmp_path: Path, text: str, key: str) -> None:
    assert mistakes(write(tmp_path, MINIMAL + text)) == {("agent.toml", key)}


def test_a_time_zone_that_does_not_exist_is_told(tmp_path: Path) -> None:
    assert mistakes(write(tmp_path, MINIMAL + 'time_zone = "Mars/Olympus"\n')) == {("agent.toml", "station.time_zone")}


@pytest.mark.parametrize("key", ["credential", "client_key"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, key: str, mode: int) -> None:
    secret = tmp_path / "secret"
    secret.touch()
    secret.chmod(mode)
    text = MINIMAL + f'[[stores]]\nname = "s"\nurl = "file:///x"\nrequire = "readback"\n{key} = "secret"\n'
    assert mistakes(write(tmp_path, text)) == {("agent.toml", f"stores.0.{key}")}
    assert "chmod 600" in reason_of(tmp_path / "agent.toml")
    secret.chmod(0o600)
    assert load_config(tmp_path / "agent.toml").stores[0].name == "s"


@pytest.mark.parametrize("raw", [b"[station\n", b"\xff\xfe", b"x" * (1 << 20) + b"y"])
def test_a_file_that_is_no_toml_is_told(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "agent.toml"
    file.write_bytes(raw)
    assert reason_of(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "none.toml") == "there is no such file"


def test_the_digest_covers_every_file_and_every_profile(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    main = write(tmp_path, MINIMAL + '[profiles]\ndirectory = "profiles"\n')
    seen = {load_config(main).digest}
    write(tmp_path, "[wipe]\nenabled = true\n", "conf.d/wipe.toml")
    seen.add(load_config(main).digest)
    write(tmp_path, "x = 1\n", "profiles/model.toml")
    seen.add(load_config(main).digest)
    assert len(seen) == 3


def test_check_tells_what_is_worth_knowing(tmp_path: Path) -> None:
    report = check(write(tmp_path, MINIMAL + "trial = true\n"))
    assert report.problems == []
    said = " ".join(report.notes)
    assert "Wiping is off" in said
    assert "TRIAL" in said
    assert "No store" in said


def test_check_names_a_bad_profile(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    write(tmp_path, '[profile]\nname = "x"\n', "profiles/bad.toml")
    report = check(write(tmp_path, MINIMAL + '[profiles]\ndirectory = "profiles"\n'))
    assert {Path(p.file).name for p in report.problems} == {"bad.toml"}


def test_check_names_a_store_that_cannot_be_used(tmp_path: Path) -> None:
    text = MINIMAL + '[[stores]]\nname = "s"\nurl = "gopher://x"\nrequire = "readback"\n'
    report = check(write(tmp_path, text))
    assert [p.key for p in report.problems] == ["stores"]


def test_a_configuration_never_changes_after_it_was_read(tmp_path: Path) -> None:
    config: Config = load_config(write(tmp_path, MINIMAL))
    with pytest.raises(ValueError, match="frozen"):
        config.source = Path("/x")  # type: ignore[misc]
