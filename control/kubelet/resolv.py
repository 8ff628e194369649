"""A pod's resolv.conf and hosts file, as a kubelet makes them (pkg/kubelet/network/dns, pkg/kubelet/kubelet_pods.go).

    dnsPolicy                 nameservers    search                                            options
    ClusterFirst              the cluster's  <ns>.svc.<domain> svc.<domain> <domain> + host's  ndots:5
    ClusterFirst, hostNetwork the host's     the host's                                        the host's
    ClusterFirstWithHostNet   as ClusterFirst
    Default                   the host's     the host's                                        the host's
    None                      -              -                                                 -

dnsConfig is appended to that, without duplicates; of two options of one name its own wins. Three nameservers, 32 search
domains and 2048 characters of search list are the limits; what is beyond them is left out, and an event says so.

Without a mount namespace nobody can be made to read another file than the machine's /etc/resolv.conf, and no variable
of glibc, musl or Go names one. So the files are written, are found at etc/ below the container's directory and by
$LOOPKUBE_RESOLV_CONF and $LOOPKUBE_HOSTS, and serve programs that can be told (c-ares, dnspython, unbound, dnsmasq).
LOCALDOMAIN and RES_OPTIONS are not set: they would send every name that is not the cluster's to the machine's
nameservers three times more, and make none of the cluster's resolve.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from control.api.objects import Object, namespace_of, spec_of
from control.kubelet.environment import hostname_of
from control.kubelet.volumes import File, Volume

NAMESERVERS_MAX = 3  # pkg/apis/core/validation: MaxDNSNameservers
SEARCHES_MAX = 32  # MaxDNSSearchPaths
SEARCH_CHARS_MAX = 2048  # MaxDNSSearchListChars
CLUSTER_OPTIONS = ("ndots:5",)  # pkg/kubelet/network/dns: defaultDNSOptions
STANDARD_PORT = 53
HOSTS = """\
# Kubernetes-managed hosts file.
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::0	ip6-localnet
fe00::0	ip6-mcastprefix
fe00::1	ip6-allnodes
fe00::2	ip6-allrouters
"""


@dataclass(frozen=True, slots=True)
class ClusterDns:
    """Where the cluster's names are answered, and the machine's own resolv.conf."""

    address: str = ""  # "" nowhere: ClusterFirst is Default then
    port: int = STANDARD_PORT
    domain: str = "cluster.local"
    host: str = ""


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a resolv.conf says."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {each}" for each in self.nameservers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in lines)


def parsed(text: str) -> Resolver:
    """The machine's resolv.conf, read as the kubelet reads it: the last search line counts."""
    nameservers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == "nameserver" and len(words) > 1:
            nameservers.append(words[1])
        elif words and words[0] == "search":
            searches = tuple(word.rstrip(".") or "." for word in words[1:])
        elif words and words[0] == "options":
            options += words[1:]
    return Resolver(tuple(nameservers), searches, _merged((), options))


def resolver_of(pod: Object, dns: ClusterDns) -> tuple[Resolver, list[str]]:
    """What the pod's resolv.conf says, and what had to be left out of it."""
    spec, host = spec_of(pod), parsed(dns.host)
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    found = host
    if policy == "None":
        found = Resolver()
    elif policy != "Default" and dns.address:
        own = (f"{namespace_of(pod)}.svc.{dns.domain}", f"svc.{dns.domain}", dns.domain)
        found = Resolver((dns.address,), _once((*own, *host.searches)), CLUSTER_OPTIONS)
    config = spec.get("dnsConfig") or {}
    asked = [
        f"{option['name']}:{option['value']}" if option.get("value") is not None else str(option["name"])
        for option in config.get("options") or ()
    ]
    return _within_limits(
        Resolver(
            _once((*found.nameservers, *(config.get("nameservers") or ()))),
            _once((*found.searches, *(config.get("searches") or ()))),
            _merged(found.options, asked),
        )
    )


def _within_limits(wanted: Resolver) -> tuple[Resolver, list[str]]:
    problems = []
    nameservers = wanted.nameservers[:NAMESERVERS_MAX]
    if nameservers != wanted.nameservers:
        problems.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(nameservers)}"
        )
    searches = wanted.searches[:SEARCHES_MAX]
    while len(" ".join(searches)) > SEARCH_CHARS_MAX:
        searches = searches[:-1]
    if searches != wanted.searches:
        problems.append(
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(searches)}"
        )
    return Resolver(nameservers, searches, wanted.options), problems


def hosts_of(pod: Object, pod_ip: str, domain: str) -> str:
    """The pod's hosts file: itself, by its full name if it has a subdomain, and its hostAliases."""
    spec, hostname = spec_of(pod), hostname_of(pod)
    text = HOSTS
    if pod_ip:
        full = f"{hostname}.{spec['subdomain']}.{namespace_of(pod)}.svc.{domain}" if spec.get("subdomain") else ""
        text += "\t".join(filter(None, (pod_ip, full, hostname))) + "\n"
    aliases = spec.get("hostAliases") or ()
    lines = ["\t".join([each["ip"], *(each.get("hostnames") or ())]) for each in aliases]
    return text + "".join(f"{line}\n" for line in (["", "# Entries added by HostAliases.", *lines] if lines else []))


def etc_of(pod: Object, pod_ip: str, dns: ClusterDns) -> tuple[Volume, list[str]]:
    """Both files, and what had to be left out."""
    resolver, problems = resolver_of(pod, dns)
    text = resolver.text
    if dns.port != STANDARD_PORT and dns.address in resolver.nameservers:
        text = f"# {dns.address} answers at port {dns.port}, which this file has no word for\n{text}"
    files = {"resolv.conf": text, "hosts": hosts_of(pod, pod_ip, dns.domain)}
    return Volume("etc", {name: File(content.encode(), 0o644) for name, content in files.items()}), problems


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _merged(first: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Options by name, the later value in the earlier place."""
    return tuple({option.partition(":")[0]: option for option in (*first, *more)}.values())
