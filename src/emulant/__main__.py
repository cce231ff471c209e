"""`python -m emulant`."""

from emulant.cli import main

raise SystemExit(main())
