"""The processes of a gateway: which there are, and the memory that is theirs alone."""
import os


def children(pid):
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                yield from map(int, f.read().split())
    except OSError:
        pass


def tree(pid):
    return [pid] + [p for child in children(pid) for p in tree(child)]


def status(pid):
    """What the kernel tells about a process; nothing, when it is over."""
    try:
        with open(f"/proc/{pid}/status") as f:
            return {name: value.strip() for name, value in (line.split(":", 1) for line in f)}
    except OSError:
        return {}


def octets(pid, *kinds):
    told = status(pid)
    return sum(int(told.get(kind, "0 kB").split()[0]) << 10 for kind in kinds)


def own_octets(pid):
    """Resident memory without the pages of program files, which all processes share. Shared memory
    counts for everybody who has it."""
    return octets(pid, "RssAnon", "RssShmem")


def sessions(gw):
    """Process ids of the session processes that live."""
    found = []
    for pid in tree(gw.process.pid):
        told = status(pid)
        if told.get("Name", "").startswith("sallyport-sess") and not told["State"].startswith("Z"):
            found.append(pid)
    return found


def footprint(gw):
    return sum(own_octets(pid) for pid in tree(gw.process.pid))
