"""make lifecycle: the archive that carries the program and its capability."""
import filecmp
import gzip
import subprocess
import tarfile

from file_capabilities import NET_RAW, capable_files, give
from support import USER

RECORD = "SCHILY.xattr.security.capability"


def members(archive):
    with tarfile.open(archive) as tar:
        return {member.name: member for member in tar}


def extract(archive, folder, *words):
    folder.mkdir()
    folder.chmod(0o777)
    subprocess.run([*words, "tar", "-xzf", archive, "--xattrs", "--xattrs-include=*", "-C", folder],
                   check=True, stderr=subprocess.DEVNULL)


def test_archive_is_the_same_bytes_wherever_it_is_built(archive, another_archive):
    assert filecmp.cmp(archive, another_archive, shallow=False)  # an assertion about the bytes takes minutes to fail
    assert archive.read_bytes()[3:8] == bytes(5), "gzip header: no name, no time"


def test_archive_has_one_file_with_the_capability(archive):
    found = members(archive)
    assert list(found) == ["cf-pcap"]
    record = found["cf-pcap"].pax_headers[RECORD].encode("utf-8", "surrogateescape")
    assert record == NET_RAW
    for member in found.values():
        assert (member.uid, member.gid, member.mode, member.mtime) == (0, 0, 0o755, 1700000000)
        assert set(member.pax_headers) <= {RECORD}


def test_extracted_with_privilege_the_helper_has_the_capability(archive, scratch):
    extract(archive, scratch / "out")
    assert capable_files(scratch / "out") == {"cf-pcap": NET_RAW}


def test_extracted_without_privilege_the_capability_is_gone_and_the_content_is_not(build, archive, scratch):
    extract(archive, scratch / "out", "setpriv", f"--reuid={USER}", f"--regid={USER}",
            "--clear-groups")
    assert capable_files(scratch / "out") == {}
    assert (scratch / "out/cf-pcap").read_bytes() == (build / "lifecycle/cf-pcap").read_bytes()


def test_files_are_added_to_an_archive_whose_other_members_stay(build, scratch):
    content = scratch / "content"
    content.mkdir()
    (content / "builder").write_text("builder")
    (content / "launcher").write_text("launcher")
    give(content / "launcher", NET_RAW)
    (content / "cf-pcap").write_text("an old one")
    (content / "cf-pcap-writer").write_text("which 0.1.0 had")
    archive = scratch / "app_lifecycle.tgz"
    subprocess.run(["tar", "-czf", archive, "--xattrs", "--xattrs-include=*", "-C", content,
                    "./builder", "launcher", "./cf-pcap", "./cf-pcap-writer"], check=True)
    before = members(archive)
    results = []
    for _ in range(2):
        subprocess.run([build / "bosh/src/cf-pcap/add-to-archive", archive, build / "lifecycle"],
                       check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SOURCE_DATE_EPOCH": "1"})
        results.append(gzip.decompress(archive.read_bytes()))
    after = members(archive)
    assert results[0] == results[1]
    assert list(after) == ["./builder", "launcher", "cf-pcap"]
    for name in ("./builder", "launcher"):
        assert after[name].get_info() == before[name].get_info()
        assert after[name].pax_headers == before[name].pax_headers
    extract(archive, scratch / "out")
    assert capable_files(scratch / "out") == {"launcher": NET_RAW, "cf-pcap": NET_RAW}
    assert sorted(path.name for path in scratch.iterdir()) == ["app_lifecycle.tgz", "content", "out"]


def test_archive_is_left_alone_when_the_capability_cannot_be_set(build, scratch):
    archive = scratch / "app_lifecycle.tgz"
    archive.write_bytes(b"as it was")
    result = subprocess.run(["setpriv", "--bounding-set=-setfcap", build / "bosh/src/cf-pcap/add-to-archive",
                             archive, build / "lifecycle"], stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert "cannot set cap_net_raw" in result.stderr
    assert archive.read_bytes() == b"as it was"
    assert [path.name for path in scratch.iterdir()] == ["app_lifecycle.tgz"]


def test_what_the_first_version_left_in_an_archive_goes(build, scratch):
    """0.1.0 had two files; a folder with one puts it in the place of both."""
    for name in ("old", "new"):
        (scratch / name).mkdir()
        (scratch / name / "cf-pcap").write_text(name)
    (scratch / "old/cf-pcap-writer").write_text("old")
    archive = scratch / "app_lifecycle.tgz"
    for name, wanted in (("old", ["cf-pcap", "cf-pcap-writer"]), ("new", ["cf-pcap"])):
        if name == "old":
            subprocess.run(["tar", "-czf", archive, "-C", scratch / "old", "cf-pcap", "cf-pcap-writer"], check=True)
        else:
            subprocess.run([build / "bosh/src/cf-pcap/add-to-archive", archive, scratch / name], check=True)
        assert list(members(archive)) == wanted
    extract(archive, scratch / "out")
    assert capable_files(scratch / "out") == {"cf-pcap": NET_RAW}
    assert (scratch / "out/cf-pcap").read_text() == "new"
