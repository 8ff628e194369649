"""Admission: what the cluster's rules add to a write or refuse of it."""

from control.apiserver.admission.chain import admit_create, admit_delete, admit_update, check_namespace
from control.apiserver.admission.lookup import Lookup

__all__ = ["Lookup", "admit_create", "admit_delete", "admit_update", "check_namespace"]
