"""A local mailbox: real SMTP in, a small web page and JSON out. It delivers nothing to anybody.

The same Message-ID to the same recipient is one message with its `copies` counted, so that "once each"
(DOMAIN N2) can be seen and tested.
"""
