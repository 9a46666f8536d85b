"""The functions and the API: Chalice, told what its configuration cannot hold.

==============  ===========================================================================
``chalice``     deploys, removes and packages them, in process
``build``       Chalice's build, with ours in the place of three of its steps
``additions``   what Chalice cannot say of a function, for both ways to deploy it
``rights``      the committed policies, made exact
``gateway``     API Gateway's own answers
``committed``   the same policies, held against the configuration
``roles``       a stage has one region of an account
``release``     starting from a snapshot
``remembered``  what Chalice remembers, set right by what is there
``sam``         the template of ``make package``
==============  ===========================================================================
"""
