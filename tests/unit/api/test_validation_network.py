"""Validation of Services, Endpoints, EndpointSlices, Ingresses and their classes."""

from __future__ import annotations

from typing import Any

import pytest

from control.api import kinds
from control.api.objects import Object
from tests.fakes.manifests import ingress, metadata, service
from tests.fakes.validated import complaints, update_complaints

P = "spec.rules[0].http.paths[0]"


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({"ports": []}, ["spec.ports: Required value"]),
        ({"ports": [], "clusterIP": "None"}, []),
        ({"ports": [{"port": 0}]}, [
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive"]),
        ({"ports": [{"port": 1}, {"port": 2}]},
         ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"]),
        ({"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]}, ['spec.ports[1].name: Duplicate value: "a"']),
        ({"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]},
         ['spec.ports[1]: Duplicate value: {"port":1,"protocol":"TCP"}']),
        ({"ports": [{"port": 1, "nodePort": 30000}]},
         ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]),
        ({"type": "NodePort",
          "ports": [{"port": 1, "name": "a", "nodePort": 9}, {"port": 2, "name": "b", "nodePort": 9}]},
         ["spec.ports[1].nodePort: Duplicate value: 9"]),
        ({"ports": [{"port": 1, "appProtocol": "a b"}]}, None),
        ({"type": "Magic"}, [
            'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
            '"NodePort"', "spec.internalTrafficPolicy: Required value"]),
        ({"type": "NodePort", "clusterIP": "None"},
         ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"]),
        ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
        ({"type": "ExternalName", "externalName": "a.b.", "ports": []}, []),
        ({"clusterIP": "300.0.0.1"}, ['spec.clusterIPs[0]: Invalid value: "300.0.0.1": must be a valid IP '
                                      'address, (e.g. '
                                      "10.9.8.7 or 2001:db8::ffff)"]),
        ({"sessionAffinity": "Glue"},
         ['spec.sessionAffinity: Unsupported value: "Glue": supported values: "ClientIP", "None"']),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
         ["spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than "
          "86400"]),
        ({"externalTrafficPolicy": "Local"}, ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for '
                                              "externally-accessible services"]),
        ({"internalTrafficPolicy": "Far"},
         ['spec.internalTrafficPolicy: Unsupported value: "Far": supported values: "Cluster", "Local"']),
        ({"trafficDistribution": "Any"}, ['spec.trafficDistribution: Unsupported value: "Any": supported values: '
                                          '"PreferClose", "PreferSameNode", "PreferSameZone"']),
        ({"healthCheckNodePort": 30000},
         ["spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and "
          "`externalTrafficPolicy` is 'Local'"]),
        ({"externalIPs": ["0.0.0.0"]},
         ['spec.externalIPs[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0 or ::)']),
        ({"loadBalancerSourceRanges": ["10.0.0.0/8"]},
         ["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"]),
        ({"ipFamilies": ["IPv4", "IPv4"]}, ['spec.ipFamilies[1]: Duplicate value: "IPv4"']),
    ],
)  # fmt: skip
def test_services(spec: Object, faults: list[str] | None) -> None:
    found = complaints(kinds.SERVICE, service(**spec))
    if faults is None:
        (fault,) = found
        assert fault.startswith('spec.ports[0].appProtocol: Invalid value: "a b": name part must consist of')
    else:
        assert found == faults


def test_a_service_name_may_start_with_a_digit() -> None:
    obj = service()
    obj["metadata"]["name"] = "1-web"
    assert complaints(kinds.SERVICE, obj) == []


def test_a_service_keeps_its_address() -> None:
    old = service(clusterIP="127.96.0.1", clusterIPs=["127.96.0.1"])
    new = service(clusterIP="127.96.0.2", clusterIPs=["127.96.0.2"])
    assert update_complaints(kinds.SERVICE, new, old) == [
        'spec.clusterIPs[0]: Invalid value: ["127.96.0.2"]: may not change once set'
    ]
    named = service(type="ExternalName", externalName="a.b", ports=[])
    assert update_complaints(kinds.SERVICE, named, old) == []
    assert update_complaints(kinds.SERVICE, new, named) == []


@pytest.mark.parametrize(
    ("path", "faults"),
    [
        ({"pathType": None}, [f"{P}.pathType: Required value: pathType must be specified"]),
        ({"pathType": "Regex"}, [f'{P}.pathType: Unsupported value: "Regex": supported values: "Exact", '
                                 '"ImplementationSpecific", "Prefix"']),
        ({"path": "a"}, [f'{P}.path: Invalid value: "a": must be an absolute path']),
        ({"path": "/a//b"}, [f'{P}.path: Invalid value: "/a//b": must not contain "//"']),
        ({"path": "/a/..", "pathType": "Exact"}, [f'{P}.path: Invalid value: "/a/..": cannot end with "/.."']),
        ({"path": "", "pathType": "ImplementationSpecific"}, []),
        ({"backend": {"service": {"name": "web", "port": {}}}},
         [f"{P}.backend: Required value: port name or number is required"]),
        ({"backend": {"service": {"name": "web", "port": {"name": "a", "number": 1}}}},
         [f'{P}.backend: Invalid value: "": cannot set both port name & port number']),
        ({"backend": {"service": {"port": {"number": 1}}}}, [f"{P}.backend.service.name: Required value"]),
        ({"backend": {}}, [f"{P}.backend.service.name: Required value"]),
        ({"backend": {"resource": {"kind": "K", "name": "n"}}}, []),
    ],
)  # fmt: skip
def test_ingress_paths(path: Object, faults: list[str]) -> None:
    obj = ingress(path)
    entry = obj["spec"]["rules"][0]["http"]["paths"][0]
    if entry["pathType"] is None:
        del entry["pathType"]
    assert complaints(kinds.INGRESS, obj) == faults


@pytest.mark.parametrize(
    ("host", "start"),
    [
        ("*.example.com", ""),
        ("a.*.com", 'spec.rules[0].host: Invalid value: "a.*.com": a wildcard DNS-1123 subdomain must start with'),
        ("A.com", 'spec.rules[0].host: Invalid value: "A.com": a lowercase RFC 1123 subdomain must consist of'),
        ("127.0.0.1", 'spec.rules[0].host: Invalid value: "127.0.0.1": must be a DNS name, not an IP address'),
    ],
)
def test_ingress_hosts(host: str, start: str) -> None:
    found = complaints(kinds.INGRESS, ingress(host=host))
    assert [fault.startswith(start) for fault in found] == [True] * bool(start)


def test_an_ingress_needs_a_backend_and_one_class() -> None:
    empty: Object = {"metadata": metadata(), "spec": {}}
    assert complaints(kinds.INGRESS, empty) == [
        "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"
    ]
    both = ingress(ingressClassName="x")
    both["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "y"}
    (fault,) = complaints(kinds.INGRESS, both)
    assert fault.endswith("can not be set when the class field is also set")
    assert update_complaints(kinds.INGRESS, both, both) == [], "only at birth"


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({"controller": "a.io/x"}, []),
        ({}, ["spec.controller: Required value"]),
        ({"controller": "x"},
         ['spec.controller: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")']),
        ({"controller": "a.io/x", "parameters": {"kind": "K", "name": "n", "namespace": "x"}},
         ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"]),
    ],
)  # fmt: skip
def test_ingress_classes(spec: Object, faults: list[str]) -> None:
    obj = {"metadata": metadata(namespace=""), "spec": spec}
    assert complaints(kinds.INGRESS_CLASS, obj) == faults


def test_the_controller_of_a_class_stays() -> None:
    old, new = ({"metadata": metadata(namespace=""), "spec": {"controller": f"a.io/{name}"}} for name in "xy")
    (fault,) = update_complaints(kinds.INGRESS_CLASS, new, old)
    assert fault == 'spec.controller: Invalid value: "a.io/y": field is immutable'


def subset(**fields: Any) -> Object:
    return {"metadata": metadata(), "subsets": [{"addresses": [{"ip": "127.0.0.1"}], **fields}]}


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({}, []),
        ({"addresses": []}, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
        ({"addresses": [{"ip": "::1"}]}, []),
        ({"addresses": [{"ip": "224.0.0.1"}]},
         ['subsets[0].addresses[0].ip: Invalid value: "224.0.0.1": may not be in the link-local multicast range '
          "(224.0.0.0/24, ff02::/10)"]),
        ({"ports": [{"port": 1}, {"port": 2}]},
         ["subsets[0].ports[0].name: Required value", "subsets[0].ports[1].name: Required value"]),
        ({"ports": [{"port": 0}]},
         ["subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"]),
    ],
)  # fmt: skip
def test_endpoints_may_be_on_loopback(fields: Object, faults: list[str]) -> None:
    assert complaints(kinds.ENDPOINTS, subset(**fields)) == faults


def sliced(*addresses: str, kind: str = "IPv4", **fields: Any) -> Object:
    return {"metadata": metadata(), "addressType": kind, "endpoints": [{"addresses": list(addresses)}], **fields}


@pytest.mark.parametrize(
    ("obj", "faults"),
    [
        (sliced("127.0.0.1"), []),
        (sliced("a.example.com", kind="FQDN"), []),
        (sliced("127.0.0.1", kind="X"),
         ['addressType: Unsupported value: "X": supported values: "FQDN", "IPv4", "IPv6"']),
        (sliced("::1"), ['endpoints[0].addresses[0]: Invalid value: "::1": must be an IPv4 address']),
        (sliced(), ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
        (sliced(*["127.0.0.1"] * 101), ["endpoints[0].addresses: Too many: 101: must have at most 100 items"]),
        (sliced("127.0.0.1", ports=[{"port": 1}, {"port": 2}]), ['ports[1].name: Duplicate value: ""']),
        (sliced("127.0.0.1", endpoints=[{"addresses": ["127.0.0.1"]}] * 1001),
         ["endpoints: Too many: 1001: must have at most 1000 items"]),
    ],
)  # fmt: skip
def test_endpoint_slices(obj: Object, faults: list[str]) -> None:
    assert complaints(kinds.ENDPOINT_SLICE, obj) == faults


def test_the_address_type_of_a_slice_stays() -> None:
    (fault,) = update_complaints(kinds.ENDPOINT_SLICE, sliced("::1", kind="IPv6"), sliced("127.0.0.1"))
    assert fault == 'addressType: Invalid value: "IPv6": field is immutable'
