"""Start after a crash: replay, rebuild from readers, quarantine of journals in doubt."""
