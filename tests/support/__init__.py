"""What the tests share: servers, kernels, shells, pages and streams, all real."""
