"""Code of your own, with an example of a page and of an alert handler. An update leaves this folder alone."""
