"""The local server: API Gateway, Lambda and DynamoDB on one machine, for ``make run`` and tests.

    __main__, main        settings, signals, exit codes
    application           the deployed parts that are served
    environment           what points boto3 at an engine and at the stand-ins
    server                the socket and its threads
    connection, body      HTTP/1.1 on one of them
    site                  what answers which path: the API, a file, an endpoint of /_local
    static, functions     files of the demo; POST /_local/functions/{name}
    gateway               API Gateway in front of the Lambda handler
    routing, events       which resource a path means; HTTP -> proxy event
    context, answers      the Lambda context object; proxy response -> HTTP
    engine, repairs       moto's DynamoDB, embedded
    stream                the table's stream, fed to the stream function
    shards, mapping       how far it is read; batches and repeats, as Lambda does it
    aws                   stand-ins for EventBridge and SQS

Nothing here is deployed, and nothing that is deployed imports it.
"""
