"""The lab: the installed agent on Debian's kernel in a virtual machine, with USB cameras of the tests' own making.

A test gets a machine in a second, from a state that is made when it is missing (states.py), plugs cameras into its
hubs, and runs commands in it as root:

    pytestmark = pytest.mark.lab

    def test_a_clip_is_there_to_read(tmp_path: Path) -> None:
        image = card(tmp_path / "card.img", {"DCIM/100BWC/CLIP1.MP4": b"..."}, "exfat")        # media.py
        with Machine.restore(idle(), tmp_path / "machine") as machine, ScriptedCamera(image) as camera:
            watch = Watch(machine)                                                           # watch.py
            camera.hang_at(1_000_000)                                                          # camera/camera.py
            camera.plug(machine, "1.3")
            block = watch.wait_volume("1.3")
            machine.sh(f"mount -o ro /dev/{block} /mnt")                                      # guest_side.py
            camera.wait(lambda: camera.hung)

  machine.py    a machine: restore, power off, what it said when a test fails
  usb.py        QEMU's own devices: disks (also UAS, slow, with bad sectors), MTP, a keyboard
  camera/       a camera with any identity, and every fault at the test's command
  media.py      images of cards: FAT32, exFAT, ext4
  states.py     idle, and serving by a recipe
  qemu.py       ports and their names in udev, disks, the address of the store
  image.py      Debian, the dependencies and the lab's own command agent; cache.py keeps all that is dear to make

Nothing is ever skipped: where QEMU or the image cannot be had, the tests fail and say what to do. The project's code
is put in when the state `idle` is made, so a change of code makes new states (about a quarter of a minute). The guest
reaches one port of this machine, as 10.0.2.100:8443, and nothing else. `scripts/lab shell` is for playing by hand.
"""
