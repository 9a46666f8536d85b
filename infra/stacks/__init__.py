"""A stage's stacks of CloudFormation: what each is told, and what is done with it.

==============  ===========================================================================
``parameters``  the three stacks, their templates and parameters
``stack``       one stack: made, changed or removed
``obstacles``   what is in the way, found before anything is made
``outputs``     what the stacks tell, for Chalice's configuration
``probe``       the right to call that the health probe may have lost
``data``        what a stage keeps when it is undeployed
==============  ===========================================================================
"""
