"""What the kernel cannot filter is refused in words, never filtered wrongly."""
import pytest


@pytest.mark.parametrize("interface, expression", [
    ("cap0", "ip6 protochain 17"),  # a loop
    ("any", "link[5] == 3"),        # the kernel has no cooked header to look into
])
def test_a_filter_that_the_kernel_cannot_run_is_refused(tools, ns, interface, expression):
    run = tools.run(ns, "-interface", interface, "-no-ssh-guard", "-filter", expression)
    assert (run.returncode, run.stdout) == (1, b"")
    message = run.stderr.decode()
    assert message.count("\n") == 1
    assert 'level=ERROR msg="cannot use filter"' in message
    assert f'filter="{expression}"' in message
    assert "the kernel cannot run this filter" in message
