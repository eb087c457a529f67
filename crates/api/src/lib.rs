//! Every command once, generic over a host; and the server that is one of its hosts.
