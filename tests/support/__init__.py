"""What the tests share: processes, servers, fakes and sample values."""
