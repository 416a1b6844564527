"""What the kernel cannot filter is refused in words, never filtered wrongly."""
import pytest


@pytest.mark.parametrize("guard", [[], ["-no-ssh-guard"]])
@pytest.mark.parametrize("interface, expression", [
    ("cap0", "ip6 protochain 17"),  # a loop
    ("any", "link[5] == 3"),        # the kernel has no cooked header to look into
])
def test_a_filter_that_the_kernel_cannot_run_is_refused(tools, ns, interface, expression, guard):
    run = tools.run(ns, "-interface", interface, *guard, "-filter", expression, env={"CF_INSTANCE_PORTS": "[]"})
    assert (run.returncode, run.stdout) == (1, b"")
    message = run.stderr.decode()
    assert message.count("\n") == 1
    assert 'level=ERROR msg="cannot use filter"' in message
    assert f'filter="{expression}"' in message if guard else f' and ({expression})"' in message
    assert "the kernel cannot run this filter" in message


@pytest.mark.parametrize("flags", [[], ["-sll1"]])
def test_vlan_on_any_is_refused_with_the_reason(tools, ns, flags):
    run = tools.run(ns, "-interface", "any", "-no-ssh-guard", *flags, "-filter", "vlan and tcp port 80")
    assert (run.returncode, run.stdout) == (1, b"")
    assert b'reason="no VLAN support for Linux cooked v' in run.stderr
