"""``python -m typed_async_client.cli``: the command, if its script isn't on the path."""

from typed_async_client.cli import main

raise SystemExit(main())
