"""What transports are called where sockets are handed on; apart, so that who opens the sockets imports no server."""

HTTP, GRPC = "http", "grpc"
