"""MQTT to PostgreSQL as it is often written: aiomqtt, psycopg, one INSERT and COMMIT a message.

``python -m tests.bench.plainway PORT URL``: the peer of the benchmark that people write themselves.
"""

import asyncio
import json
import sys

import aiomqtt
import psycopg

INSERT = "INSERT INTO peer (station, time, reading) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


async def main(port: int, url: str) -> None:
    """Subscribe and insert until killed."""
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
        aiomqtt.Client("127.0.0.1", port, identifier="plain", clean_session=False) as client,
    ):
        await client.subscribe("fenghuo/v1/+/obs", qos=1)
        print(json.dumps({"ready": True}), flush=True)
        async for message in client.messages:
            payload = bytes(message.payload) if isinstance(message.payload, bytes) else b""
            said = json.loads(payload)
            station = message.topic.value.split("/")[2]
            values = json.dumps(said["values"])
            await connection.execute(INSERT, (station, said["time"], values))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
