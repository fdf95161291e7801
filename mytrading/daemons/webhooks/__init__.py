"""The process that receives alerts over HTTP and makes signals of them."""
