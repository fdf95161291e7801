"""`python -m mytrading.daemons.webhooks`: the process that supervisor starts where a webhook exists."""

from mytrading.daemons.webhooks.daemon import WebhookReceiver
from mytrading.runtime.daemon.process import main

if __name__ == "__main__":
    raise SystemExit(main(WebhookReceiver, "webhooks"))
