"""The DynamoDB adapter: the only room that knows DynamoDB, and the only user of botocore."""
