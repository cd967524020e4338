"""Audit of the printed tables: checks that need no data, each with its arithmetic, and no inference about causes."""

from regimebench.audit.report import as_html, as_markdown, audit, findings

__all__ = ["as_html", "as_markdown", "audit", "findings"]
