"""The configuration: every mistake at once, with the file and the key that made it."""

from pathlib import Path

import pytest

from agent.app import check
from agent.config import Config, ConfigErrors, load_config
from agent.config.adapters import bay_names, folder_bays, store_settings, usb_bays
from agent.config.load import bundled_profiles
from agent.core.object import ReceiptKind
from agent.devices import helper_wire
from agent.stores.s3_retention import LockMode, Retention
from agent.stores.throttle import Throttle

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


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('[station]\nid = "hub7"\n', "station.state_dir", "is missing"),
        (MINIMAL + "trail = true\n", "station.trail", "unknown key; did you mean trial?"),
        (MINIMAL + "[wype]\nenabled = true\n", "wype", "unknown key; did you mean wipe?"),
        (MINIMAL + "[wipe]\ncolour = 1\n", "wipe.colour", "unknown key"),
        (
            MINIMAL + '[[stores]]\nname = "s"\nurl = "file:///x"\nrecipt_key = "k"\n',
            "stores.0.recipt_key",
            "unknown key; did you mean receipt_key?",
        ),
        (
            MINIMAL + '[[bandwidth.hours]]\nfrmo = "08:00"\nfrom = "08:00"\nto = "10:00"\nlimit = "1 Mbit/s"\n',
            "bandwidth.hours.0.frmo",
            "unknown key; did you mean from?",
        ),
    ],
)
def test_a_key_that_is_unknown_or_missing_is_said_in_plain_words(
    tmp_path: Path, text: str, key: str, reason: str
) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_config(write(tmp_path, text))
    assert [(problem.key, problem.reason) for problem in caught.value.problems] == [(key, reason)]


def test_lists_grow_over_files_and_single_keys_are_replaced(tmp_path: Path) -> None:
    main = write(tmp_path, MINIMAL + '[[bays]]\nname = "1"\nfolder = "a"\n')
    write(tmp_path, '[wipe]\nenabled = true\n[[bays]]\nname = "2"\nfolder = "b"\n', "conf.d/10.toml")
    write(tmp_path, '[wipe]\nenabled = false\n[[bays]]\nname = "3"\nfolder = "/c"\n', "conf.d/20.toml")
    config = load_config(main)
    assert [b.name for b in config.bays] == ["1", "2", "3"]
    assert [b.folder for b in config.bays] == [tmp_path / "a", tmp_path / "b", Path("/c")]
    assert not config.wipe.enabled


def test_enrolled_cameras_of_all_files_are_joined(tmp_path: Path) -> None:
    main = write(tmp_path, MINIMAL + '[cameras]\nenrolled = ["BWC*"]\n')
    write(tmp_path, '[cameras]\nenrolled = ["1209:bc01/X1", "X2"]\n', "conf.d/cameras.toml")
    assert load_config(main).cameras.enrolled == ("BWC*", "1209:bc01/X1", "X2")
    write(tmp_path, '[cameras]\nenrolled = ["X3", "  "]\n', "conf.d/more.toml")
    assert mistakes(main) == {("more.toml", "cameras.enrolled.4")}


def test_a_list_takes_the_place_of_something_else_and_the_other_way_round(tmp_path: Path) -> None:
    main = write(tmp_path, MINIMAL + '[cameras]\nenrolled = "BWC"\n')
    write(tmp_path, '[cameras]\nenrolled = ["X1"]\n', "conf.d/cameras.toml")
    assert load_config(main).cameras.enrolled == ("X1",)
    write(tmp_path, '[cameras]\nenrolled = "X2"\n', "conf.d/later.toml")
    assert mistakes(main) == {("later.toml", "cameras.enrolled")}


PORT = "pci-0000:00:14.0-usb-0:1"


def usb_bay(name: str, *paths: str) -> str:
    return f'[[bays]]\nname = "{name}"\npaths = {list(paths)}\n'


def test_usb_bays_and_folders_are_served_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    text = usb_bay("2", f"{PORT}.2", "pci-0000:00:14.0-usb-0:5.2") + '[[bays]]\nname = "1"\nfolder = "a"\n'
    text += usb_bay("3", f"{PORT}.3") + '[[imports]]\nname = "wifi"\nfolder = "w"\n'
    config = load_config(write(tmp_path, MINIMAL + text))
    assert usb_bays(config) == {"2": (f"{PORT}.2", "pci-0000:00:14.0-usb-0:5.2"), "3": (f"{PORT}.3",)}
    assert bay_names(config) == ["2", "1", "3", "wifi"]
    assert list(folder_bays(config)) == ["1", "wifi"]


def test_the_helper_is_where_its_units_put_it_unless_said(tmp_path: Path) -> None:
    usb = load_config(write(tmp_path, MINIMAL)).usb
    assert (str(usb.helper), str(usb.readers), usb.guard) == (helper_wire.SOCKET, helper_wire.READERS, True)
    usb = load_config(write(tmp_path, MINIMAL + '[usb]\nhelper = "h.sock"\nreaders = "/r"\nguard = false\n')).usb
    assert (usb.helper, usb.readers, usb.guard) == (tmp_path / "h.sock", Path("/r"), False)


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        (usb_bay("1", f"{PORT}.1", "1-1.3"), "bays.0.paths.1", "looks like pci-"),
        (usb_bay("1", f"{PORT}.1") + usb_bay("2", f"{PORT}.2", f"{PORT}.1"), "bays.1.paths.1", "bay 1 is at this port"),
        (usb_bay("1", PORT) + usb_bay("2", f"{PORT}.2"), "bays.0.paths.0", "bay 2 hangs below this port"),
        (usb_bay("port-1-1.3", f"{PORT}.1"), "bays.0.name", "ports that no bay names"),
        ('[[imports]]\nname = "port-9"\nfolder = "w"\n', "imports.0.name", "ports that no bay names"),
        ('[usb]\nguard = "no"\n', "usb.guard", "boolean"),
        ('[cameras]\nenrolled = ["X1", "a\\u0007"]\n', "cameras.enrolled.1", "printable"),
    ],
)
def test_a_mistake_about_ports_and_cameras_is_told(tmp_path: Path, text: str, key: str, reason: str) -> None:
    file = write(tmp_path, MINIMAL + text)
    assert mistakes(file) == {("agent.toml", key)}
    assert reason in reason_of(file)


def test_only_an_open_door_is_worth_a_notice(tmp_path: Path) -> None:
    text = MINIMAL + usb_bay("1", f"{PORT}.1")
    assert "Any USB device" not in " ".join(check(write(tmp_path, text)).notes)
    assert "[usb] guard = false" in " ".join(check(write(tmp_path, text + "[usb]\nguard = false\n")).notes)


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


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('[[bays]]\nname = "1"\nfolder = "a"\n[[bays]]\nname = "2"\nfolder = "a/"\n', "bays.1.folder", "bay 1"),
        ('[[bays]]\nname = "1"\nfolder = "a"\n[[bays]]\nname = "2"\nfolder = "b/../a"\n', "bays.1.folder", "bay 1"),
        ('[[bays]]\nname = "1"\nfolder = "a"\n[[bays]]\nname = "2"\nsimulated = "a"\n', "bays.1.simulated", "bay 1"),
        ('[[bays]]\nname = "1"\nfolder = "to/a"\n[[bays]]\nname = "2"\nfolder = "way/a"\n', "bays.1.folder", "bay 1"),
        ('[[bays]]\nname = "1"\nfolder = "a"\n[[imports]]\nname = "2"\nfolder = "a"\n', "imports.0.folder", "bay 1"),
    ],
)
def test_a_folder_belongs_to_one_bay_however_it_is_written(tmp_path: Path, text: str, key: str, reason: str) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "way").symlink_to("to")
    file = write(tmp_path, MINIMAL + text)
    assert mistakes(file) == {("agent.toml", key)}
    assert reason_of(file) == f"{reason} is at this folder already"


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
    reason = "there is no such file; run `dock-agent setup`, or name yours with --config"
    assert reason_of(tmp_path / "none.toml") == reason
    with pytest.raises(ConfigErrors) as caught:
        load_config(tmp_path / "none.toml")
    assert str(caught.value) == f"{tmp_path}/none.toml: {reason}"


def test_a_name_that_is_none_is_told_in_words(tmp_path: Path) -> None:
    reason = reason_of(write(tmp_path, MINIMAL.replace("hub7", "hub 7")))
    assert reason.startswith("is no name: up to 64 letters, digits")


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


def test_what_an_s3_store_is_asked_to_keep_reaches_the_store(tmp_path: Path) -> None:
    store = '[[stores]]\nname = "s"\nurl = "s3+https://h.example/b"\nrequire = "readback"\n'
    asked = 'object_lock = "compliance"\nobject_lock_days = 90\nlegal_hold = true\ntags = true\n'
    (table,) = load_config(write(tmp_path, MINIMAL + store + asked)).stores
    assert store_settings(table, Throttle()).retention == Retention(LockMode.COMPLIANCE, 90, legal_hold=True, tags=True)
    (table,) = load_config(write(tmp_path, MINIMAL + store)).stores
    assert not store_settings(table, Throttle()).retention.asks


def test_a_configuration_never_changes_after_it_was_read(tmp_path: Path) -> None:
    config: Config = load_config(write(tmp_path, MINIMAL))
    with pytest.raises(ValueError, match="frozen"):
        config.source = Path("/x")  # type: ignore[misc]


def test_a_connection_file_is_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    store = '[[stores]]\nname = "vms"\nurl = "axis:vms.json"\nrequire = "readback"\n'
    file = write(tmp_path, MINIMAL + store)
    assert load_config(file).stores[0].url == f"axis:{tmp_path / 'vms.json'}"
    write(tmp_path, "{}", "vms.json").chmod(0o644)
    told = [problem.reason for problem in check(file).problems]
    assert len(told) == 1
    assert "chmod 600" in told[0]
