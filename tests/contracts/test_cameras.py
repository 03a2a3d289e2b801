"""Every driver through its real reader process."""

import json
from pathlib import Path

import pytest

from agent.core.clip import BayName
from agent.devices.reader.camera import open_camera
from agent.ports import Docked
from tests.contracts.camera_contract import STALL_S, CameraCard, CameraContract


class TestFolder(CameraContract):
    @pytest.fixture
    def camera_card(self, tmp_path: Path) -> CameraCard:
        root = tmp_path / "card"
        root.mkdir()
        docked = Docked(BayName("1"), "folder", str(root), "token")

        def pull() -> None:
            root.rename(tmp_path / "pulled")

        return CameraCard(docked, root, open_camera, pull)

    async def test_facts_name_the_file_system_but_no_serial(self, camera_card: CameraCard) -> None:
        camera = await open_camera(camera_card.docked, stall_s=STALL_S)
        await camera.close()
        assert camera.facts.serial is None
        assert camera.facts.capacity_bytes


class TestSimulated(CameraContract):
    @pytest.fixture
    def camera_card(self, tmp_path: Path) -> CameraCard:
        bay = tmp_path / "rack" / "1"
        (bay / "card").mkdir(parents=True)
        script = {"serial": "BWV-1", "model": "M", "firmware": "1.2", "battery_percent": 80, "label": "CAM"}
        (bay / ".camera.json").write_text(json.dumps(script), "utf-8")

        def pull() -> None:
            bay.rename(tmp_path / "pulled")

        return CameraCard(Docked(BayName("1"), "simulated", str(bay), "token"), bay / "card", open_camera, pull)

    async def test_facts_are_what_the_script_says(self, camera_card: CameraCard) -> None:
        camera = await open_camera(camera_card.docked, stall_s=STALL_S)
        await camera.close()
        facts = camera.facts
        told = (facts.serial, facts.model, facts.firmware, facts.battery_percent, facts.label)
        assert told == ("BWV-1", "M", "1.2", 80, "CAM")
