"""An OpenAlgo server as a broker: REST client and books, WebSocket quotes and order updates, the SDK for authors."""
