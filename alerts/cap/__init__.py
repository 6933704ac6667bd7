"""Common Alerting Protocol 1.2: documents as they are written, checked, signed and fed on."""

from alerts.cap.document import LANGUAGES, NAMESPACE, build, moment, rings

__all__ = ["LANGUAGES", "NAMESPACE", "build", "moment", "rings"]
